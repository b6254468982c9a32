//! Query list, matching, the cap, filters, duplicates, balancing, selection.
