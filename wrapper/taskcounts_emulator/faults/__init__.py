"""Fault injection: the plan of faults, malformed bodies, and faulty delivery."""
