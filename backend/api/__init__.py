"""The web process: routes that translate between HTTP and the services, and the dashboard on the same port."""
