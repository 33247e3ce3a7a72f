"""Engines that turn prompts into tokens, behind one small protocol, as Ray Serve deployments."""
