import { serveTasks } from '../child.js'
import { load } from './load.js'

serveTasks({ load })
