"""An agent workspace: one fleet of models behind `Workspace.handle`."""
