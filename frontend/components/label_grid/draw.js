// Elements of the labelling grid: keys, tiles or one large image, and the state of what is being saved.

function element(tag, className, text) {
  const node = document.createElement(tag)
  if (className) node.className = className
  if (text !== undefined) node.textContent = text
  return node
}

const number = n => n.toLocaleString("en")

class Drawing {
  constructor(grid, root, data) {
    Object.assign(this, { grid, root, data })
    this.tiles = root.querySelector(".tiles")
  }

  thumbnail(item, size = 128) {
    if (item.picture && size === 128) return item.picture
    return `${this.data.base}/projects/${this.data.project}/examples/${item.example.id}/thumbnail?size=${size}`
  }

  size(pixels) {
    this.root.style.setProperty("--tile", `${pixels}px`)
  }

  keys() {
    const buttons = this.data.groups.map(group => {
      const button = element("button")
      button.type = "button"
      button.style.setProperty("--c", group.colour)
      button.append(element("kbd", "", String(group.index + 1)), element("span", "swatch"), group.name, element("small", "", group.note))
      button.onclick = () => this.grid.assign(group.index)
      return button
    })
    const unsure = element("button")
    unsure.type = "button"
    unsure.append(element("kbd", "", "0"), "unsure")
    unsure.onclick = () => this.grid.assign(null)
    for (const button of [...buttons, unsure]) button.disabled = this.data.locked
    this.root.querySelector(".keys").replaceChildren(...buttons, unsure)
  }

  page(page) {
    const { focused, current } = this.grid
    this.tiles.classList.toggle("focus", focused)
    this.tiles.classList.toggle("words", page.items.length > 0 && !isPicture(page.items[0].example))
    this.root.querySelector(".mode-name").textContent = focused ? "Grid" : "Focus"
    const done = this.data.query.only_open ? "Nothing left to label here." : "No examples here."
    if (!page.items.length) this.tiles.replaceChildren(element("p", "empty", done))
    else if (focused) this.tiles.replaceChildren(this.tile(page.items[current], current))
    else this.tiles.replaceChildren(...page.items.map((item, position) => this.tile(item, position)))
    this.root.querySelector(".previous").disabled = this.grid.page === 0
    this.root.querySelector(".following").disabled = !page.next
  }

  node(position) {
    return this.grid.focused ? this.tiles.querySelector(`[data-position="${position}"]`) : this.tiles.children[position]
  }

  refresh(position) {
    const old = this.node(position)
    if (!old) return
    const fresh = this.tile(this.grid.items[position], position)
    old.replaceWith(fresh)
    fresh.classList.add("flash")
    if (position === this.grid.current) this.stand(fresh, true)
    this.picked(position, this.grid.selected.has(position))
  }

  current(before, position) {
    if (this.grid.focused) {
      this.tiles.replaceChildren(this.tile(this.grid.items[position], position))
    } else this.stand(this.tiles.children[before], false)
    const now = this.node(position)
    if (now) {
      this.stand(now, true)
      now.focus({ preventScroll: true })
      now.scrollIntoView({ block: "nearest" })
    }
    this.where()
  }

  stand(node, on) {
    if (!node?.classList.contains("tile")) return
    node.classList.toggle("current", on)
    node.tabIndex = on ? 0 : -1
  }

  picked(position, on) {
    const node = this.node(position)
    node?.classList.toggle("picked", on)
    node?.setAttribute("aria-selected", String(on))
    const n = this.grid.selected.size
    this.root.querySelector(".picks").textContent = n ? `${n} selected: a key labels all of them` : ""
  }

  tile(item, position) {
    const { blind, groups, pixels } = this.data
    const shows = !blind || item.by_hand
    const group = shows ? groups[item.group] : undefined
    const suggested = blind ? undefined : groups[item.suggestion]
    const tile = element("button", `tile${pixels ? " pixels" : ""}`)
    Object.assign(tile, { type: "button", tabIndex: -1, onclick: event => this.grid.clicked(position, event), ondblclick: () => this.grid.inspect() })
    Object.assign(tile.dataset, { example: item.example.id, position })
    tile.setAttribute("role", "option")
    tile.setAttribute("aria-selected", "false")
    const name = group ? group.name : shows && item.unsure ? "unsure" : "no group"
    tile.title = `${item.example.path}\n${name}${item.by_hand ? " (by hand)" : ""}${suggested ? `\nsuggested: ${suggested.name}` : ""}`
    if (group) tile.style.setProperty("--c", group.colour)
    const mark = element("span", "mark")
    mark.append(element("span", group ? "number" : "number none", group ? String(group.index + 1) : shows && item.unsure ? "?" : "–"))
    mark.append(element("span", "name", name))
    if (suggested && item.suggestion !== item.group) mark.append(element("span", "suggests", `was ${item.suggestion + 1}`))
    if (item.by_hand) mark.append(element("span", "hand", "✓"))
    tile.append(exampleNode(item.example, this.thumbnail(item, this.grid.focused ? 256 : 128)), mark)
    const image = tile.querySelector("img")
    if (image) image.alt = `Example ${item.example.position + 1}` // the rest of the tile's name is what it shows
    for (const [who, said] of Object.entries(item.others ?? {})) {
      tile.append(element("span", "other", `${who}: ${groups[said]?.name ?? "unsure"}`))
    }
    if (!blind && item.example.correct_share !== null && item.example.correct_share < 0.5) {
      const wrong = element("span", "wrong", "✗")
      wrong.title = "the models get this one wrong"
      tile.append(wrong)
    }
    return tile
  }

  where() {
    const page = this.grid.pages[this.grid.page]
    const before = this.grid.pages.slice(0, this.grid.page).reduce((sum, p) => sum + p.items.length, 0)
    this.root.querySelector(".where").textContent = page?.total ? `${number(before + this.grid.current + 1)} of ${number(page.total)}` : ""
  }

  failure(text) {
    this.tiles.replaceChildren(element("p", "empty", text))
  }

  rejected(text) {
    const state = this.root.querySelector(".state")
    state.dataset.state = "failed"
    state.querySelector(".text").textContent = text
    this.rejection = text
  }

  state(name, waiting) {
    if (this.rejection && name === "saved") return void (this.rejection = null)
    const state = this.root.querySelector(".state")
    state.dataset.state = name
    const words = { saved: "all saved", waiting: `${waiting} waiting`, failed: `${waiting} not saved, trying again` }
    state.querySelector(".text").textContent = words[name]
    state.querySelector(".retry").hidden = name !== "failed"
  }
}
