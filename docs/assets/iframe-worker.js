/* A page that is opened from a folder may start no worker; a hidden frame does the work of the
   search instead. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      this.inside = frame.contentWindow
      this.inside.document.open()
      this.inside.document.write("<!doctype html><body></body>")
      this.inside.document.close()
      this.inside.postMessage = (data) =>
        setTimeout(() => this.dispatchEvent(new MessageEvent("message", { data })))
      this.inside.importScripts = (...urls) => Promise.all(urls.map((each) => this.load(each)))
      this.ready = this.load(url)
    }
    load(url) {
      const script = this.inside.document.createElement("script")
      const loaded = new Promise((resolve, reject) => {
        script.onload = resolve
        script.onerror = reject
      })
      script.src = String(url)
      this.inside.document.body.append(script)
      return loaded
    }
    postMessage(data) {
      this.ready.then(() =>
        this.inside.dispatchEvent(new this.inside.MessageEvent("message", { data }))
      )
    }
  }
}
