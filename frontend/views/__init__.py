"""One file a page; each reads as a description of its screen."""
