"""Reports to look at: one HTML file each, with everything in it, in light and in dark."""
