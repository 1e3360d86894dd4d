"""What is measured of the few features that are case studies, on all eval tokens and with intervals."""
