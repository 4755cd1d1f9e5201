"""Watching jobs: what a wait tells as lines, as a live view, as records; replayed, drawn, passed on."""
