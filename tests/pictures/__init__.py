"""The pictures of the README, drawn by the project itself: `make pictures`."""
