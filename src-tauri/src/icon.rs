//! The tray's icon: the application's own, with a mark in the corner for what is not as usual.

use tauri::image::Image;

use crate::picture::State;

/// Small on purpose: the tray's description carries every pixel of it.
const PLAIN: Image<'_> = tauri::include_image!("icons/32x32.png");

/// Radius of the mark, in pixels of an icon of 32: still seen when it is drawn at 16.
const RADIUS: f32 = 7.5;

/// Width of the gap around it, by which it stands out from any icon.
const GAP: f32 = 2.0;

/// Returns the icon for a state.
pub(crate) fn of(state: State) -> Image<'static> {
    let (width, height) = (PLAIN.width(), PLAIN.height());
    let mut rgba = PLAIN.rgba().to_vec();
    if let Some(colour) = mark(state) {
        let (cx, cy) = (width as f32 - RADIUS - 0.5, height as f32 - RADIUS - 0.5);
        for (n, pixel) in rgba.chunks_exact_mut(4).enumerate() {
            let (x, y) = ((n as u32 % width) as f32, (n as u32 / width) as f32);
            let distance = ((x - cx).powi(2) + (y - cy).powi(2)).sqrt();
            // The edges are softened over one pixel.
            let inside = (RADIUS - distance + 0.5).clamp(0.0, 1.0);
            let outside_gap = (distance - RADIUS - GAP + 0.5).clamp(0.0, 1.0);
            let kept = f32::from(pixel[3]) * outside_gap;
            if inside > 0.0 {
                pixel[..3].copy_from_slice(&colour);
                pixel[3] = (255.0 * inside) as u8;
            } else {
                pixel[3] = kept as u8;
            }
        }
    }
    Image::new_owned(rgba, width, height)
}

/// The mark's colour; none where all is well. Each is told apart in grey as well by the tooltip.
fn mark(state: State) -> Option<[u8; 3]> {
    match state {
        State::Connected => None,
        State::Reconnecting => Some([0xe0, 0xa0, 0x20]),
        State::Paused => Some([0x80, 0x86, 0x90]),
        State::NeedsYou => Some([0x2f, 0x7d, 0xf6]),
        State::CannotExecute => Some([0xd9, 0x36, 0x36]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_an_icon_of_its_own() {
        let states = [
            State::Connected,
            State::Reconnecting,
            State::Paused,
            State::NeedsYou,
            State::CannotExecute,
        ];
        let icons: Vec<Vec<u8>> = states.iter().map(|s| of(*s).rgba().to_vec()).collect();
        for (n, icon) in icons.iter().enumerate() {
            assert_eq!(icon.len(), PLAIN.rgba().len());
            assert!(!icons[..n].contains(icon), "{:?}", states[n]);
        }
    }
}
