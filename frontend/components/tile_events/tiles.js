// Galleries are plain HTML. This one listener opens a tile in the inspector (click, Enter or Space) and lets the arrow
// keys walk along a gallery; Python learns which example was opened and which ones stand beside it. "?" asks for the keys.

let component = null
let installed = false

function opener(event) {
  return event.target instanceof Element ? event.target.closest(".us-strip .us-open[data-example]") : null
}

function siblings(tile) {
  return [...tile.closest(".us-strip").querySelectorAll(".us-open[data-example]")]
}

function open(tile) {
  const around = siblings(tile).map(t => Number(t.dataset.example))
  component?.setTriggerValue("opened", { id: Number(tile.dataset.example), around, at: Date.now() })
}

function walk(event, tile) {
  const all = siblings(tile)
  const columns = getComputedStyle(tile.closest(".us-strip")).gridTemplateColumns.split(" ").length
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -Infinity, End: Infinity }[event.key]
  if (step === undefined) return
  const next = all[Math.max(0, Math.min(all.length - 1, all.indexOf(tile) + step))]
  event.preventDefault()
  event.stopPropagation()
  tile.tabIndex = -1
  next.tabIndex = 0
  next.focus()
}

function asksForKeys(event) {
  const target = event.composedPath()[0]
  return event.key === "?" && !(target instanceof Element && target.closest("input, textarea, [contenteditable=true]"))
}

export default function (given) {
  component = given
  if (installed) return
  installed = true
  document.documentElement.dataset.galleries = "listening" // until then arrows are the page's own shortcuts
  document.addEventListener("click", event => {
    const tile = opener(event)
    if (tile) open(tile)
  })
  document.addEventListener("keydown", event => {
    if (asksForKeys(event)) component?.setTriggerValue("keys", Date.now())
    const tile = opener(event)
    if (tile && !event.ctrlKey && !event.metaKey && !event.altKey) walk(event, tile)
  }, true)
}
