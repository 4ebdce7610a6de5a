// The labelling grid: loads pages of the queue itself, shows each key press at once, and lets `Sender` write it.

const SIZES = [76, 104, 136, 180]
const instances = new WeakMap()

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
    grid.renderKeys()
  }
  return () => grid.stop()
}

function element(tag, className, text) {
  const node = document.createElement(tag)
  if (className) node.className = className
  if (text !== undefined) node.textContent = text
  return node
}

function isTyping(event) {
  const target = event.composedPath()[0]
  if (!(target instanceof Element)) return false
  if (target.closest("input, textarea, select, [contenteditable=true], [role=slider], [role=combobox], [role=dialog]")) return true
  const moves = event.key.startsWith("Arrow") || event.key === "Enter"
  return moves && Boolean(target.closest("button:not(.tile), a, [role=radio], [role=tab]"))
}

class Grid {
  constructor(root, data, component) {
    Object.assign(this, { root, data, component, identity: data.identity })
    this.pages = []
    this.page = 0
    this.current = 0
    this.history = []
    this.tiles = root.querySelector(".tiles")
    this.where = root.querySelector(".where")
    this.state = root.querySelector(".state")
    this.sender = new Sender({
      base: data.base,
      groupSet: data.groupSet,
      annotator: data.annotator,
      onState: (state, waiting) => this.showState(state, waiting),
      onResult: (result, batch) => this.onResult(result, batch),
      onRejected: text => this.onRejected(text),
    })
    this.size = Number(localStorage.getItem("unskew:tile") ?? 1)
  }

  start() {
    this.root.style.setProperty("--tile", `${SIZES[this.size] ?? 104}px`)
    this.renderKeys()
    this.root.querySelector(".previous").onclick = () => this.turn(-1)
    this.root.querySelector(".following").onclick = () => this.turn(1)
    this.root.querySelector(".retry").onclick = () => this.sender.retryNow()
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

  // ------------------------------------------------------------ pages
  async load(index) {
    if (this.pages[index]) return this.pages[index]
    const before = this.pages[index - 1]
    if (index > 0 && !before?.next) return null
    const query = new URLSearchParams({ label: this.data.label, order: this.data.order, limit: this.data.pageSize, only_open: this.data.onlyOpen })
    if (index > 0) query.set("after", before.next)
    const response = await fetch(`${this.data.base}/group-sets/${this.data.groupSet}/queue?${query}`)
    if (!response.ok) throw new Error(await problemText(response))
    this.pages[index] = await response.json()
    return this.pages[index]
  }

  async open(index, current = 0) {
    try {
      const page = await this.load(index)
      if (!page) return
      this.page = index
      this.current = Math.max(0, Math.min(current, page.items.length - 1))
      this.render()
      this.prefetch(index + 1)
    } catch (error) {
      this.tiles.replaceChildren(element("p", "empty", `${error.message} Reload the page to try again.`))
    }
  }

  async prefetch(index) {
    const page = await this.load(index).catch(() => null)
    for (const item of page?.items ?? []) if (isPicture(item.example)) new Image().src = this.thumbnail(item)
  }

  async turn(step) {
    const index = this.page + step
    if (index < 0 || (step > 0 && !this.pages[this.page]?.next)) return
    await this.open(index, 0)
    this.tell()
  }

  get items() {
    return this.pages[this.page]?.items ?? []
  }

  // ------------------------------------------------------------ keys
  key(event) {
    if (!this.root.isConnected || event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return
    const columns = getComputedStyle(this.tiles).gridTemplateColumns.split(" ").length
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }
    const group = /^[1-9]$/.test(event.key) ? Number(event.key) - 1 : null
    if (group !== null && group < this.data.groups.length) this.assign(group)
    else if (event.key === "0") this.assign(null)
    else if (event.key === "Enter") this.confirm()
    else if (event.key === "Backspace") event.shiftKey ? this.sender.step("redo") : this.undo()
    else if (event.key in moves) this.select(this.current + moves[event.key])
    else if (/^s$/i.test(event.key)) this.advance()
    else if (/^n$/i.test(event.key)) this.turn(1)
    else if (/^p$/i.test(event.key)) this.turn(-1)
    else if (event.key === "+" || event.key === "-") this.resize(event.key === "+" ? 1 : -1)
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  assign(group) {
    const item = this.items[this.current]
    if (!item) return
    this.history.push({ page: this.page, position: this.current, before: { ...item } })
    Object.assign(item, { group, by_hand: true, unsure: group === null })
    this.renderTile(this.current)
    this.sender.label(item.example.id, group)
    this.advance()
  }

  confirm() {
    const item = this.items[this.current]
    const group = item?.group ?? item?.suggestion
    if (group !== undefined && group !== null) this.assign(group)
  }

  undo() {
    const last = this.history.pop()
    if (last) {
      Object.assign(this.pages[last.page].items[last.position], last.before)
      if (last.page === this.page) {
        this.renderTile(last.position)
        this.select(last.position)
      } else this.open(last.page, last.position)
    }
    this.sender.step("undo")
  }

  advance() {
    if (this.current < this.items.length - 1) this.select(this.current + 1)
    else if (this.pages[this.page]?.next) this.turn(1)
  }

  select(position) {
    if (position < 0 || position >= this.items.length) return
    const before = this.tiles.children[this.current]
    before?.classList.remove("current")
    before?.setAttribute("aria-selected", "false")
    if (before) before.tabIndex = -1
    this.current = position
    const now = this.tiles.children[position]
    if (!now) return
    now.classList.add("current")
    now.setAttribute("aria-selected", "true")
    now.tabIndex = 0
    now.focus({ preventScroll: true })
    now.scrollIntoView({ block: "nearest" })
    this.showWhere()
  }

  resize(step) {
    this.size = Math.max(0, Math.min(SIZES.length - 1, this.size + step))
    localStorage.setItem("unskew:tile", String(this.size))
    this.root.style.setProperty("--tile", `${SIZES[this.size]}px`)
  }

  // ------------------------------------------------------------ answers
  onResult(result, batch) {
    const newer = new Set(this.sender.operations.filter(o => o.kind === "label").map(o => o.body.example_id))
    for (const item of result.items) if (!newer.has(item.example.id)) this.replace(item, batch[0].kind !== "label")
    clearTimeout(this.idle)
    this.idle = setTimeout(() => this.tell(), 1200)
  }

  replace(item, jump) {
    for (const [index, page] of this.pages.entries()) {
      const position = page?.items.findIndex(i => i.example.id === item.example.id) ?? -1
      if (position < 0) continue
      Object.assign(page.items[position], item, { example: page.items[position].example })
      if (index === this.page) {
        this.renderTile(position)
        if (jump) this.select(position)
      } else if (jump) this.open(index, position)
    }
  }

  onRejected(text) {
    this.state.dataset.state = "failed"
    this.state.querySelector(".text").textContent = text
    this.rejection = text
    this.pages = []
    this.history = []
    this.open(0)
  }

  tell() {
    if (!this.sender.operations.length) this.component.setTriggerValue("progress", Date.now())
  }

  // ------------------------------------------------------------ drawing
  thumbnail(item) {
    return `${this.data.base}/projects/${this.data.project}/examples/${item.example.id}/thumbnail?size=128`
  }

  renderKeys() {
    const keys = this.root.querySelector(".keys")
    const buttons = this.data.groups.map(group => {
      const button = element("button")
      button.type = "button"
      button.style.setProperty("--c", group.colour)
      button.append(element("kbd", "", String(group.index + 1)), element("span", "swatch"), group.name, element("small", "", group.note))
      button.onclick = () => this.assign(group.index)
      return button
    })
    const unsure = element("button")
    unsure.type = "button"
    unsure.append(element("kbd", "", "0"), "unsure")
    unsure.onclick = () => this.assign(null)
    keys.replaceChildren(...buttons, unsure)
  }

  render() {
    const page = this.pages[this.page]
    const done = this.data.onlyOpen ? "Nothing left to label here." : "No examples in this class."
    this.tiles.classList.toggle("words", page.items.length > 0 && !isPicture(page.items[0].example))
    if (!page.items.length) this.tiles.replaceChildren(element("p", "empty", done))
    else this.tiles.replaceChildren(...page.items.map((item, position) => this.tile(item, position)))
    this.root.querySelector(".previous").disabled = this.page === 0
    this.root.querySelector(".following").disabled = !page.next
    this.select(this.current)
    this.showWhere()
  }

  renderTile(position) {
    const old = this.tiles.children[position]
    if (!old) return
    const fresh = this.tile(this.items[position], position)
    old.replaceWith(fresh)
    fresh.classList.add("flash")
    if (position === this.current) {
      fresh.classList.add("current")
      fresh.tabIndex = 0
      fresh.setAttribute("aria-selected", "true")
    }
  }

  tile(item, position) {
    const group = this.data.groups[item.group]
    const suggested = this.data.groups[item.suggestion]
    const tile = element("button", `tile${this.data.pixels ? " pixels" : ""}`)
    Object.assign(tile, { type: "button", tabIndex: -1, onclick: () => this.select(position) })
    tile.dataset.example = item.example.id
    tile.setAttribute("role", "option")
    tile.setAttribute("aria-selected", "false")
    const name = group ? group.name : item.unsure ? "unsure" : "no group"
    tile.setAttribute("aria-label", `Example ${item.example.position + 1}: ${name}${item.by_hand ? ", by hand" : ""}`)
    tile.title = `${item.example.path}\n${name}${item.by_hand ? " (by hand)" : ""}${suggested ? `\nsuggested: ${suggested.name}` : ""}`
    if (group) tile.style.setProperty("--c", group.colour)
    const mark = element("span", "mark")
    mark.append(element("span", group ? "number" : "number none", group ? String(group.index + 1) : item.unsure ? "?" : "–"))
    mark.append(element("span", "name", name))
    if (suggested && item.suggestion !== item.group) mark.append(element("span", "suggests", `was ${item.suggestion + 1}`))
    if (item.by_hand) mark.append(element("span", "hand", "✓"))
    tile.append(exampleNode(item.example, this.thumbnail(item)), mark)
    if (item.example.correct_share !== null && item.example.correct_share < 0.5) {
      const wrong = element("span", "wrong", "✗")
      wrong.title = "the models get this one wrong"
      tile.append(wrong)
    }
    return tile
  }

  showWhere() {
    const page = this.pages[this.page]
    if (!page?.total) return void (this.where.textContent = "")
    const before = this.pages.slice(0, this.page).reduce((sum, p) => sum + p.items.length, 0)
    this.where.textContent = `${before + this.current + 1} of ${page.total}`
  }

  showState(state, waiting) {
    if (this.rejection && state === "saved") return void (this.rejection = null)
    this.state.dataset.state = state
    const words = { saved: "all saved", waiting: `${waiting} waiting`, failed: `${waiting} not saved, trying again` }
    this.state.querySelector(".text").textContent = words[state]
    this.state.querySelector(".retry").hidden = state !== "failed"
  }
}
