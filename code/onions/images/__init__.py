"""The images: find or download CIFAR-10, read it without trusting it, or draw the stand-in."""
