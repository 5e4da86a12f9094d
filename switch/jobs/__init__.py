"""Jobs: resumable, re-runnable work beside the payments, keyed by bank and batch or date."""
