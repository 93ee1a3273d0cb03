"""Data from the disk or from scikit-learn, as plain arrays; this package knows no layer."""
