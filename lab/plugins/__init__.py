"""Stand-ins for provider plugins, for the lab only."""

from lab.plugins.install import install_cloud_plugins, install_command_plugin

__all__ = ["install_cloud_plugins", "install_command_plugin"]
