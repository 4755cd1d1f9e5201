"""The live view of watched jobs on a terminal."""
