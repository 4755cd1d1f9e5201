"""Recordings of a watch: written, read, played again, and drawn as a chart."""
