"""HTTP: the protocol's endpoints, the pages for people, the API for apps. They ignore each other."""
