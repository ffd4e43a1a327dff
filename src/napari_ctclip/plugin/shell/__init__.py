"""The window that holds everything: workbench, panel, keys, menus, launch."""
