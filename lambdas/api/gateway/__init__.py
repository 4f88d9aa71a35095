"""The function behind API Gateway: routes and their documents."""
