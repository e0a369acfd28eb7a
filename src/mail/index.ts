export { sendByCommand } from './command.js'
export { sendBySmtp, type SmtpPlace } from './smtp.js'
export type { Mail, SendMail } from './mail.js'
