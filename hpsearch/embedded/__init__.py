"""A whole search in this process: the server's samplers and the workers' native engine, without either of them."""
