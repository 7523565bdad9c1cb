"""Compare two builds, or a build and the reference runs, and report the differences."""
