//! A tray and nothing else: what the memory of the desktop application is measured against.

use tauri::{RunEvent, menu::MenuBuilder, tray::TrayIconBuilder};

fn main() -> tauri::Result<()> {
    let app = tauri::Builder::default()
        .setup(|app| {
            let menu = MenuBuilder::new(app).text("quit", "Quit").build()?;
            TrayIconBuilder::with_id("empty")
                .icon(tauri::include_image!("icons/32x32.png"))
                .menu(&menu)
                .build(app)?;
            Ok(())
        })
        .build(tauri::generate_context!())?;
    app.run(|_, event| {
        if let RunEvent::ExitRequested {
            code: None, api, ..
        } = event
        {
            api.prevent_exit();
        }
    });
    Ok(())
}
