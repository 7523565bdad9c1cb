"""The images: find or download CIFAR-10 and read it safely, or draw the stand-in."""
