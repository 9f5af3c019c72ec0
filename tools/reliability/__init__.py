"""What the fault suite measured, and which test each protection has: recorded, and printed for the documents."""
