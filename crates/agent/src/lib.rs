//! Runs tasks on this computer: link, dispatcher, executors, the device's store.
