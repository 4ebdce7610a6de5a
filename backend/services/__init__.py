"""What a person can do, as functions: called by the API's routes and by the command line alike."""
