"""The table of bench/RESULTS.md: its rows, how they are measured, and the page that shows them."""
