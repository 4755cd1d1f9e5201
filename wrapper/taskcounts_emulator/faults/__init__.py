"""What goes wrong on purpose: which calls, and how their answers leave."""
