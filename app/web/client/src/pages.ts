// What every page needs: htmx for parts of pages, keys, the theme, local times, the upload.
import "htmx.org";
import { listenToKeys } from "./keys";
import { startList } from "./list";
import { startNotices } from "./notices";
import { startReport } from "./report";
import { startReview } from "./review";
import { startTheme } from "./theme";
import { startTimes } from "./times";
import { startUpload } from "./upload";

listenToKeys();
startTheme();
startTimes();
startNotices();
startList();
startReport();
startReview();
startUpload();

const viewer = document.querySelector<HTMLElement>("#viewer");
if (viewer) {
  // A chunk of its own: only the page of a case pays for it.
  void import("./viewer").then(({ startViewer }) => startViewer(viewer));
}
