//! Deskhand's desktop application: tray and viewer around the local agent.
