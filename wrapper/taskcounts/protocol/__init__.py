"""The service's protocol: requests as they are sent, answers as they are checked; pure functions."""
