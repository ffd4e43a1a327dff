"""Pictures of the running window, made by driving it by mouse and keyboard."""
