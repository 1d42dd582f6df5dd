"""The flows: plan, map, join, report; one file for each workload."""
