"""Files of what a watch has seen: written, played again, drawn as a chart."""
