"""The window that holds everything: workbench, keys, menus, jobs, messages."""
