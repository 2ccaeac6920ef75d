"""Facts about networks; choosing, suggesting and recognising one."""
