// Sends every key press to the API, in order, one request at a time. A label carries its own key, so that sending it
// again after a lost answer changes nothing; labels not yet sent outlive a reload in localStorage.

const RETRY_MS = [500, 1500, 4000, 8000, 15000]
const BATCH = 200

function newKey() {
  if (globalThis.crypto?.randomUUID) return crypto.randomUUID()
  const bytes = crypto.getRandomValues(new Uint8Array(16)) // plain http on another host has no randomUUID
  return Array.from(bytes, b => b.toString(16).padStart(2, "0")).join("")
}

async function problemText(response) {
  try {
    const problem = await response.json()
    return [problem.detail, problem.fix].filter(Boolean).join(" ")
  } catch {
    return `The server answered ${response.status}.`
  }
}

class Sender {
  constructor({ base, groupSet, annotator, adjudicates, onState, onResult, onRejected }) {
    this.url = `${base}/group-sets/${groupSet}`
    this.who = { annotator, adjudicates }
    this.storageKey = `unskew:labels:${groupSet}:${annotator}${adjudicates ? ":decides" : ""}`
    Object.assign(this, { onState, onResult, onRejected })
    this.busy = false
    this.failures = 0
    this.timer = null
    this.operations = this.restore()
  }

  // keys alike up to ":" are one gesture, which one undo takes back
  label(exampleId, group, key) {
    this.push({ kind: "label", body: { key: key || newKey(), example_id: exampleId, group } })
  }

  step(kind) {
    this.push({ kind })
  }

  push(operation) {
    this.operations.push(operation)
    this.store()
    this.report()
    this.pump()
  }

  retryNow() {
    clearTimeout(this.timer)
    this.timer = null
    this.pump()
  }

  stop() {
    clearTimeout(this.timer)
    this.stopped = true
  }

  async pump() {
    if (this.busy || this.stopped || this.timer || !this.operations.length) return
    this.busy = true
    const first = this.operations[0]
    let sent = 1
    while (first.kind === "label" && sent < Math.min(this.operations.length, BATCH) && this.operations[sent].kind === "label") sent += 1
    const batch = this.operations.slice(0, sent)
    try {
      const response = await this.request(batch)
      if (response.ok) this.succeeded(batch, await response.json())
      else if (response.status >= 500) this.failed(batch)
      else this.rejected(batch, await problemText(response))
    } catch {
      this.failed(batch)
    }
    this.busy = false
    this.report()
    this.pump()
  }

  request(batch) {
    const path = batch[0].kind === "label" ? "labels" : batch[0].kind
    const body = { ...this.who }
    if (path === "labels") body.labels = batch.map(o => o.body)
    return fetch(`${this.url}/${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      keepalive: batch.length < 50, // the last key press survives closing the page
      priority: "high", // before the thumbnails that are still on their way
    })
  }

  succeeded(batch, result) {
    this.operations.splice(0, batch.length)
    this.failures = 0
    this.store()
    this.onResult(result, batch)
  }

  failed(batch) {
    if (batch[0].kind !== "label") {
      this.rejected(batch, `No answer to ${batch[0].kind}: press the key again.`) // its fate is unknown, so never repeated
      return
    }
    const wait = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)]
    this.failures += 1
    this.timer = setTimeout(() => this.retryNow(), wait)
  }

  rejected(batch, text) {
    this.operations.splice(0, batch.length)
    this.store()
    this.onRejected(text, batch)
  }

  report() {
    const waiting = this.operations.length
    this.onState(this.failures ? "failed" : waiting ? "waiting" : "saved", waiting)
  }

  store() {
    try {
      const labels = this.operations.filter(o => o.kind === "label")
      if (labels.length) localStorage.setItem(this.storageKey, JSON.stringify(labels))
      else localStorage.removeItem(this.storageKey)
    } catch {
      // a full or forbidden storage costs only the safety net
    }
  }

  restore() {
    try {
      return JSON.parse(localStorage.getItem(this.storageKey) ?? "[]")
    } catch {
      return []
    }
  }
}
