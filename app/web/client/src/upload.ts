/** Let files be dropped where there is a place for them. */
export function startUpload(): void {}
