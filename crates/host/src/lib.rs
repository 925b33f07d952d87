//! What both binaries need of the machine: directories, config, secrets, logging; starts agent and relay.
