"""The presets, a module per family, and the settings that families share."""
