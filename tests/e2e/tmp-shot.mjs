import { startDesk, startBrowser, openViewer } from "./desk.mjs";
import { mkdirSync } from "node:fs";
const desk = await startDesk(); const browser = await startBrowser();
mkdirSync("/tmp/shots",{recursive:true});
try {
 const { page, faults } = await openViewer(browser, desk);
 await page.waitForTimeout(800);
 await page.screenshot({path:"/tmp/shots/first.png"});
 console.log(faults);
} finally { await browser.close(); await desk.stop(); }
