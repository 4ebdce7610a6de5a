// The labelling grid: loads pages of the queue itself, shows each key press at once, and lets `Sender` write it.
// `Drawing` (draw.js) turns state into elements; this file holds the state and what keys do to it.

const instances = new WeakMap()
const SIZES = [76, 104, 136, 180]

export default function (component) {
  const { parentElement, data } = component
  const root = parentElement.querySelector(".grid-root")
  if (!root || !data) return
  let grid = instances.get(root)
  if (grid && grid.identity !== data.identity) {
    grid.stop()
    grid = null
  }
  if (!grid) {
    grid = new Grid(root, data, component)
    instances.set(root, grid)
    grid.start()
  }
  grid.component = component
  if (grid.data !== data) {
    grid.data = data
    grid.drawing.data = data
    grid.drawing.keys()
  }
  return () => grid.stop()
}

function isTyping(event) {
  const target = event.composedPath()[0]
  if (!(target instanceof Element)) return false
  if (target.closest("input:not([type=checkbox]), textarea, select, [contenteditable=true], [role=slider], [role=combobox], [role=dialog]")) return true
  const moves = event.key.startsWith("Arrow") || event.key === "Enter" || event.key === " "
  return moves && Boolean(target.closest("button:not(.tile), a, [role=radio], [role=tab], input[type=checkbox]"))
}

function remembered(name, otherwise) {
  const text = localStorage.getItem(`unskew:${name}`)
  return text === null ? otherwise : JSON.parse(text)
}

class Grid {
  constructor(root, data, component) {
    Object.assign(this, { root, data, component, identity: data.identity })
    Object.assign(this, { pages: [], page: 0, current: 0, anchor: 0, history: [], selected: new Set() })
    this.drawing = new Drawing(this, root, data)
    this.sender = new Sender({
      base: data.base,
      groupSet: data.groupSet,
      annotator: data.annotator,
      adjudicates: data.adjudicates,
      onState: (state, waiting) => this.drawing.state(state, waiting),
      onResult: (result, batch) => this.onResult(result, batch),
      onRejected: text => this.onRejected(text),
    })
    this.size = remembered("tile", 1)
    this.advances = remembered("advance", true)
    this.focused = remembered("focus", false)
  }

  start() {
    this.drawing.size(SIZES[this.size])
    this.drawing.keys()
    this.root.querySelector(".previous").onclick = () => this.turn(-1)
    this.root.querySelector(".following").onclick = () => this.turn(1)
    this.root.querySelector(".retry").onclick = () => this.sender.retryNow()
    this.root.querySelector(".mode").onclick = () => this.toggleFocus()
    const advance = this.root.querySelector(".advance input")
    advance.checked = this.advances
    advance.onchange = () => this.remember("advance", (this.advances = advance.checked))
    this.onKey = event => this.key(event)
    document.addEventListener("keydown", this.onKey)
    this.sender.report()
    this.sender.pump()
    this.open(0)
  }

  stop() {
    document.removeEventListener("keydown", this.onKey)
    clearTimeout(this.idle)
    this.sender.stop()
  }

  remember(name, value) {
    localStorage.setItem(`unskew:${name}`, JSON.stringify(value))
  }

  // ------------------------------------------------------------ pages
  async load(index) {
    if (this.pages[index]) return this.pages[index]
    const before = this.pages[index - 1]
    if (index > 0 && !before?.next) return null
    const query = new URLSearchParams({ limit: this.data.pageSize, ...this.data.query })
    if (index > 0) query.set("after", before.next)
    const response = await fetch(`${this.data.base}/group-sets/${this.data.groupSet}/queue?${query}`)
    if (!response.ok) throw new Error(await problemText(response))
    const page = await response.json()
    await this.pictures(page.items.filter(item => isPicture(item.example)))
    this.pages[index] ??= page // a prefetch may have come first, and labels may have been put into it since
    return this.pages[index]
  }

  // the thumbnails of a page in one answer; the browser asks by itself for those that were not made in time
  async pictures(items) {
    if (!items.length) return
    const query = new URLSearchParams({ ids: items.map(item => item.example.id).join(), size: 128 })
    const response = await fetch(`${this.data.base}/projects/${this.data.project}/examples/thumbnails?${query}`)
    const found = response.ok ? await response.json() : {}
    for (const item of items) if (item.example.id in found) item.picture = `data:image/webp;base64,${found[item.example.id]}`
  }

  async open(index, current = 0) {
    try {
      const page = await this.load(index)
      if (!page) return
      this.page = index
      this.current = this.anchor = Math.max(0, Math.min(current, page.items.length - 1))
      this.selected.clear()
      this.drawing.page(page)
      this.select(this.current)
      this.prefetch(index + 1)
    } catch (error) {
      this.drawing.failure(`${error.message} Reload the page to try again.`)
    }
  }

  async prefetch(index) {
    const page = await this.load(index).catch(() => null)
    for (const item of (page?.items ?? []).filter(i => isPicture(i.example) && !i.picture)) {
      const image = new Image()
      image.fetchPriority = "low" // labels and the page that is seen go first
      image.src = this.drawing.thumbnail(item)
    }
  }

  async turn(step) {
    const index = this.page + step
    if (index < 0 || (step > 0 && !this.pages[this.page]?.next)) return
    await this.open(index, 0)
    if (this.untold) this.tell()
  }

  get items() {
    return this.pages[this.page]?.items ?? []
  }

  // ------------------------------------------------------------ keys
  key(event) {
    if (!this.root.isConnected || event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return
    if (document.querySelector("[role=dialog]")) return // the inspector lies over the grid
    const columns = this.focused ? 1 : getComputedStyle(this.drawing.tiles).gridTemplateColumns.split(" ").length
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }
    const group = /^[1-9]$/.test(event.key) ? Number(event.key) - 1 : null
    const letters = { s: () => this.advance(), n: () => this.turn(1), p: () => this.turn(-1), a: () => this.selectAll(), f: () => this.toggleFocus(), i: () => this.inspect() }
    const letter = letters[event.key.toLowerCase()]
    if (group !== null && group < this.data.groups.length) this.assign(group)
    else if (event.key === "0") this.assign(null)
    else if (event.key === "Enter") this.confirm()
    else if (event.key === "Backspace") event.shiftKey ? this.redo() : this.undo()
    else if (event.key in moves) this.move(moves[event.key], event.shiftKey)
    else if (event.key === " ") this.pick(this.current)
    else if (event.key === "Escape" && this.selected.size) this.clear()
    else if (event.key === "+" || event.key === "-") this.resize(event.key === "+" ? 1 : -1)
    else if (letter) letter()
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  get chosen() {
    return this.selected.size ? [...this.selected].sort((a, b) => a - b) : [this.current]
  }

  assign(group) {
    this.give(this.chosen.map(position => [position, group]))
  }

  // what is shown is right: the group of each, or what was suggested for it; unknown while blind
  confirm() {
    const shown = this.chosen.map(position => [position, this.items[position]?.group ?? this.items[position]?.suggestion])
    if (!this.data.blind) this.give(shown.filter(([, group]) => group !== undefined && group !== null))
  }

  give(pairs) {
    const given = pairs.filter(([position]) => this.items[position])
    if (!given.length || this.data.locked) return
    this.history.push(given.map(([position]) => ({ page: this.page, position, before: { ...this.items[position] } })))
    const gesture = given.length > 1 ? newKey().slice(0, 24) : null
    given.forEach(([position, group], n) => {
      Object.assign(this.items[position], { group, by_hand: true, unsure: group === null })
      this.sender.label(this.items[position].example.id, group, gesture && `${gesture}:${n}`)
      this.drawing.refresh(position)
    })
    const last = given.at(-1)[0]
    this.clear()
    if (this.advances) this.select(last), this.advance()
    this.anchor = this.current
  }

  undo() {
    if (this.data.locked) return
    const last = this.history.pop()
    for (const { page, position, before } of last ?? []) {
      Object.assign(this.pages[page].items[position], before)
      if (page === this.page) this.drawing.refresh(position)
    }
    if (last) last[0].page === this.page ? this.select(last[0].position) : this.open(last[0].page, last[0].position)
    this.sender.step("undo")
  }

  redo() {
    if (!this.data.locked) this.sender.step("redo")
  }

  advance() {
    if (this.current < this.items.length - 1) this.select(this.current + 1)
    else if (this.pages[this.page]?.next) this.turn(1)
  }

  // ------------------------------------------------------------ where one is
  move(step, extends_) {
    const position = this.current + step
    if (position < 0 || position >= this.items.length) return
    if (extends_) this.range(position)
    else this.anchor = position
    this.select(position)
  }

  select(position) {
    if (position < 0 || position >= this.items.length) return
    const before = this.current
    this.current = position
    this.drawing.current(before, position)
  }

  clicked(position, event) {
    if (event.shiftKey) this.range(position)
    else if (event.ctrlKey || event.metaKey) this.pick(position)
    else this.anchor = position
    this.select(position)
  }

  range(position) {
    const [low, high] = [Math.min(this.anchor, position), Math.max(this.anchor, position)]
    this.clear()
    for (let i = low; i <= high; i += 1) this.mark(i, true)
  }

  pick(position) {
    this.mark(position, !this.selected.has(position))
    this.anchor = position
  }

  selectAll() {
    this.items.forEach((_, position) => this.mark(position, true))
  }

  mark(position, on) {
    on ? this.selected.add(position) : this.selected.delete(position)
    this.drawing.picked(position, on)
  }

  clear() {
    for (const position of [...this.selected]) this.mark(position, false)
  }

  toggleFocus() {
    this.remember("focus", (this.focused = !this.focused))
    this.clear()
    this.drawing.page(this.pages[this.page] ?? { items: [] })
    this.select(this.current)
  }

  inspect() {
    const around = this.items.map(item => item.example.id)
    if (around.length) this.component.setTriggerValue("opened", { id: around[this.current], around, at: Date.now() })
  }

  resize(step) {
    this.size = Math.max(0, Math.min(SIZES.length - 1, this.size + step))
    this.remember("tile", this.size)
    this.drawing.size(SIZES[this.size])
  }

  // ------------------------------------------------------------ answers
  onResult(result, batch) {
    const newer = new Set(this.sender.operations.filter(o => o.kind === "label").map(o => o.body.example_id))
    const jumps = batch[0].kind !== "label"
    result.items.forEach((item, n) => newer.has(item.example.id) || this.replace(item, jumps && n === 0))
    this.untold = true
    clearTimeout(this.idle)
    this.idle = setTimeout(() => this.tell(), 1200)
  }

  replace(item, jump) {
    for (const [index, page] of this.pages.entries()) {
      const position = page?.items.findIndex(i => i.example.id === item.example.id) ?? -1
      if (position < 0) continue
      const { example, others, picture } = page.items[position]
      Object.assign(page.items[position], item, { example, others, picture })
      if (index === this.page) {
        this.drawing.refresh(position)
        if (jump) this.select(position)
      } else if (jump) this.open(index, position)
    }
  }

  onRejected(text) {
    this.drawing.rejected(text)
    this.pages = []
    this.history = []
    this.open(0)
  }

  tell() {
    if (this.sender.operations.length) return
    this.untold = false
    this.component.setTriggerValue("progress", Date.now())
  }
}
