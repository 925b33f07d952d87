//! Takes every capability away, for good.

use rustix::thread::{CapabilitySet, CapabilitySets};

use super::{Failure, Step, Without};

/// Empties the bounding, ambient, permitted, effective and inheritable sets, as far as this process had any.
pub(super) fn drop_all(without: &Without) -> Result<(), Failure> {
    if !without.applies("capabilities")? {
        return Ok(());
    }
    let held = rustix::thread::capabilities(None).step("capabilities/get")?;
    if held.effective.contains(CapabilitySet::SETPCAP) {
        for number in 0..64 {
            // Refused from the first number on that this kernel does not know.
            let Some(capability) = CapabilitySet::from_bits(1 << number) else {
                continue;
            };
            if rustix::thread::remove_capability_from_bounding_set(capability).is_err() {
                break;
            }
        }
    }
    rustix::thread::clear_ambient_capability_set().step("capabilities/ambient")?;
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    rustix::thread::set_capabilities(None, sets).step("capabilities/set")?;
    let left = rustix::thread::capabilities(None).step("capabilities/get")?;
    match left.permitted.is_empty() && left.effective.is_empty() && left.inheritable.is_empty() {
        true => Ok(()),
        false => Err(Failure {
            step: "capabilities/check",
            errno: libc::EPERM,
        }),
    }
}
