//! Takes tasks from callers, hands them to devices, keeps timelines.
