"""What stands between the network and Django: bodies are read here, and complete requests get a thread."""
