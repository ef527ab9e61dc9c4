"""What the bridge draws, one file per widget. ``streamlit_bridge.authenticate`` gives each its public name."""
